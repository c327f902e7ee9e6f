-- Sends the JSON of BENCH_BODY to the root by POST, each @ in it replaced by BENCH_PADDING letters. Prints what wrk counted as one line of JSON, times in microseconds.
wrk.method = "POST"
wrk.path = "/"
wrk.headers["content-type"] = "application/json"
wrk.body = os.getenv("BENCH_BODY"):gsub("@", string.rep("x", tonumber(os.getenv("BENCH_PADDING"))))

-- Looking at every answer costs wrk some microseconds each, so only on demand.
if os.getenv("BENCH_COUNT_REFUSED") then
  local thread
  setup = function(first) thread = first end
  init = function() refused = 0 end
  response = function(status)
    if status == 503 then refused = refused + 1 end
  end
  countRefused = function() return thread:get("refused") end
end

done = function(summary, latency)
  local errors = summary.errors
  local refused = countRefused and countRefused() or 0
  io.write(string.format(
    '\nREPORT {"requests":%d,"durationUs":%d,"p50Us":%d,"p99Us":%d,"refused":%d,"errors":{"connect":%d,"read":%d,"write":%d,"status":%d,"timeout":%d}}\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
    refused, errors.connect, errors.read, errors.write, errors.status - refused, errors.timeout))
end
