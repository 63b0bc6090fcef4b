-- The tree's fields and values alternately; nothing if there is no tree of this epoch.
local epochKey, treeKey = KEYS[1], KEYS[2]
local epoch = ARGV[1]

if not isAdopted(epochKey, epoch) then return {} end
if redis.call('HGET', treeKey, 'epoch') ~= epoch then return {} end
return redis.call('HGETALL', treeKey)
