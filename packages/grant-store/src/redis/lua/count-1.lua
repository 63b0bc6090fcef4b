-- Counts one event in a window, whose key is forgotten at `forgetAt`. Returns the count. Needs no epoch.
local counterKey = KEYS[1]
local forgetAt = ARGV[1]

local count = redis.call('INCR', counterKey)
if count == 1 then redis.call('PEXPIREAT', counterKey, forgetAt) end
return count
