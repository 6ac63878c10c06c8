-- For wrk: posts the same document again and again, and reports as one line of JSON.
-- wrk -s posting.lua http://host:port/path -- FILE

function init(arguments)
  local file = assert(io.open(arguments[1]))
  local body = file:read("*a")
  file:close()
  document = wrk.format("POST", nil, { ["Content-Type"] = "application/json" }, body)
end

function request()
  return document
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    '{"requests": %d, "bytes": %d, "seconds": %.6f, "median_ms": %.3f, "p99_ms": %.3f, "errors": %d}\n',
    summary.requests, summary.bytes, summary.duration / 1e6, latency:percentile(50) / 1e3,
    latency:percentile(99) / 1e3, errors.connect + errors.read + errors.write + errors.status + errors.timeout
  ))
end
