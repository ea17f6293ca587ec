-- Read by wrk: sends what two files hold, where there are any.
local function read(name)
  local path = os.getenv(name)
  if not path then return nil end
  local file = assert(io.open(path, "rb"))
  local content = file:read("*a")
  file:close()
  return content
end

local body = read("BENCHMARKS_BODY")
if body then
  wrk.method = "POST"
  wrk.body = body
  wrk.headers["Content-Type"] = os.getenv("BENCHMARKS_CONTENT_TYPE")
end
