-- Cell routing for HAProxy 2.6. In `global`, once: setenv CELLROUTE_TOPOLOGY, lua-prepend-path for
-- cellroute_haproxy.so, then lua-load-per-thread of this file. README.md has the rest.
local own_thread = core.thread > 0
local cellroute = require("cellroute_haproxy").open(own_thread)

core.register_action("cellroute_route", {"http-req"}, cellroute.route)

core.register_action("cellroute_deny", {"http-req"}, function(txn)
  local status, body, retry_after = cellroute.denial(txn)
  if not status then return end
  local reply = txn:reply{status = status, body = body}
  reply:add_header("content-type", "application/json")
  reply:add_header("cache-control", "no-store")
  if retry_after then reply:add_header("retry-after", retry_after) end
  txn:done(reply)
end)

core.register_fetches("cellroute_label", cellroute.label)
core.register_fetches("cellroute_host", cellroute.host)
core.register_fetches("cellroute_port", cellroute.port)
core.register_fetches("cellroute_ready", cellroute.ready)
core.register_fetches("cellroute_generation", cellroute.generation)
core.register_converters("cellroute_cell", cellroute.cell)

core.register_service("cellroute_metrics", "http", function(applet)
  local text = cellroute.metrics() or ""
  applet:set_status(200)
  applet:add_header("content-type", cellroute.metrics_content_type)
  applet:add_header("content-length", tostring(#text))
  applet:start_response()
  applet:send(text)
end)

-- Called once a request, when HAProxy is through with it.
local Filter = {id = "cellroute", flags = filter.FLT_CFG_FL_HTX, end_analyze = cellroute.ended}
Filter.__index = Filter
function Filter.new() return setmetatable({}, Filter) end
core.register_filter("cellroute", Filter, cellroute.filter_arguments)

-- HAProxy's own log tells what the loading thread says.
if core.thread <= 1 then
  core.register_task(function()
    cellroute.start()
    while true do
      for text in cellroute.news do core.Warning(text) end
      core.msleep(200)
    end
  end)
end
