-- Joins the epoch of this run, or makes `newEpoch` the epoch of this run. Returns the epoch.
local epochKey = KEYS[1]
local newEpoch = ARGV[1]

local now = run()
local found = redis.call('HMGET', epochKey, 'epoch', 'run')
if found[1] and found[2] == now then return found[1] end
redis.call('HSET', epochKey, 'epoch', newEpoch, 'run', now)
return newEpoch
