-- For wrk: asks for the paths in a file in turn, round and round, and reports as one line of JSON.
-- wrk -s varied.lua http://host:port -- FILE
-- A line of FILE is a path, or a path, a tab and an entity tag to ask with (If-None-Match).

local requests, at = {}, 0

function init(arguments)
  for line in io.lines(arguments[1]) do
    local path, tag = line:match("^([^\t]+)\t(.+)$")
    requests[#requests + 1] = wrk.format("GET", path or line, tag and { ["If-None-Match"] = tag } or {})
  end
end

function request()
  at = at % #requests + 1
  return requests[at]
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    '{"requests": %d, "bytes": %d, "seconds": %.6f, "median_ms": %.3f, "p99_ms": %.3f, "errors": %d}\n',
    summary.requests, summary.bytes, summary.duration / 1e6, latency:percentile(50) / 1e3,
    latency:percentile(99) / 1e3, errors.connect + errors.read + errors.write + errors.status + errors.timeout
  ))
end
