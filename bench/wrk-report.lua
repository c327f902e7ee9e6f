-- Sends the JSON of BENCH_BODY to the root by POST, each @ in it replaced by BENCH_PADDING letters. Prints what wrk counted as one line of JSON, times in microseconds.
wrk.method = "POST"
wrk.path = "/"
wrk.headers["content-type"] = "application/json"
wrk.body = os.getenv("BENCH_BODY"):gsub("@", string.rep("x", tonumber(os.getenv("BENCH_PADDING"))))

done = function(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    '\nREPORT {"requests":%d,"durationUs":%d,"p50Us":%d,"p99Us":%d,"errors":{"connect":%d,"read":%d,"write":%d,"status":%d,"timeout":%d}}\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
    errors.connect, errors.read, errors.write, errors.status, errors.timeout))
end
