-- Requests of 3,000 customers in turn; wrk -s load.lua URL -- PAUSE, milliseconds between two of a connection.
local pause, i = 0, 0

function init(arguments)
  pause = tonumber(arguments[1]) or 0
  i = math.random(3000)
end

function delay()
  return pause
end

function request()
  i = (i + 37) % 3000
  return wrk.format("GET", string.format("/customers/cust-%06d/orders", i))
end
