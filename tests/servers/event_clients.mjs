// Prints the data of the events that a client receives, a JSON text: node event_clients.mjs CLIENT URL COUNT
import { createRequire } from 'node:module';
import path from 'node:path';

const require = createRequire(path.join(process.env.NODE_MODULES, 'x.js'));
const [client, url, count] = process.argv.slice(2);
const seen = [];

const listen = (EventSource) =>
  new Promise((resolve) => {
    const source = new EventSource(url);
    source.onmessage = ({ data }) => seen.push(JSON.parse(data));
    // The server ends the reconnections with a 204.
    source.onerror = () => {
      if (source.readyState === EventSource.CLOSED) resolve();
    };
  });

const iterate = async (api) => {
  const { origin, pathname, search } = new URL(url);
  for await (const data of await api(origin).post(pathname + search, { stream: true })) seen.push(data);
};

const clients = {
  openai: () => iterate((baseURL) => new (require('openai').default)({ baseURL, apiKey: 'x' })),
  anthropic: () =>
    iterate((baseURL) => new (require('@anthropic-ai/sdk').default)({ baseURL, apiKey: 'x' })),
  eventsource: () => listen(require('eventsource').EventSource),
  undici: () => listen(require('undici').EventSource),
  mcp: () =>
    new Promise((resolve) => {
      const { StreamableHTTPClientTransport } = require('@modelcontextprotocol/sdk/client/streamableHttp.js');
      const transport = new StreamableHTTPClientTransport(new URL(url));
      transport.onmessage = (message) => {
        seen.push(message);
        if (seen.length === Number(count)) setTimeout(resolve, 200);
      };
      transport.onerror = () => {};
      transport.start();
      // The answer 202 opens the stream.
      transport.send({ jsonrpc: '2.0', method: 'notifications/initialized' });
    }),
};

// A timer of undici does not keep the process alive.
setInterval(() => {}, 1000);
await clients[client]();
console.log(JSON.stringify(seen));
process.exit(0);
