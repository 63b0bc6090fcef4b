-- Gives back at most what a take reserved, and only once. A settlement that cannot be exact changes nothing.
local epochKey, treeKey, takesKey = KEYS[1], KEYS[2], KEYS[3]
local epoch, take, to, giveBack = unpack(ARGV)

if not isAdopted(epochKey, epoch) then return end
local found = redis.call('HMGET', treeKey, 'epoch', 'version')
if found[1] ~= epoch then return end
local reserved = redis.call('HGET', takesKey, take)
if not reserved or reserved == 'settled' then return end
local version = tonumber(found[2])
if tonumber(to) > version + 1 then return end

local most = cjson.decode(reserved)
local given = cjson.decode(giveBack)
redis.call('HSET', takesKey, take, 'settled')
for resource, amount in pairs(given) do
  if most[resource] then add(treeKey, resource, '', isLess(most[resource], amount) and most[resource] or amount) end
end
if tonumber(to) > version then redis.call('HSET', treeKey, 'version', to) end
