// Answers what the npm packages make of each case: JSON lines in, JSON lines out.
'use strict';

const path = require('node:path');
const readline = require('node:readline');

const load = (name) => require(path.join(process.env.NODE_MODULES, name));
const Negotiator = load('negotiator');
const fresh = load('fresh');
const parseRange = load('range-parser');
const disposition = load('content-disposition');

const negotiate = (name, method) => ({ field, offers }) =>
  new Negotiator({ headers: field === null ? {} : { [name]: field } })[method](offers);

const answers = {
  accept: negotiate('accept', 'mediaTypes'),
  encoding: negotiate('accept-encoding', 'encodings'),
  language: negotiate('accept-language', 'languages'),
  fresh: ({ request, response }) => fresh(request, response),
  range: ({ value, size }) => {
    const ranges = parseRange(size, value);
    return Array.isArray(ranges) ? ranges.map(({ start, end }) => [start, end + 1]) : ranges;
  },
  disposition: ({ written, filename }) => [
    disposition.parse(written).parameters.filename,
    disposition.create(filename, { type: 'form-data' }),
  ],
};

readline.createInterface({ input: process.stdin }).on('line', (line) => {
  const { kind, ...rest } = JSON.parse(line);
  let answer;
  try {
    answer = answers[kind](rest);
  } catch (error) {
    answer = { error: String(error) };
  }
  process.stdout.write(JSON.stringify(answer) + '\n');
});
