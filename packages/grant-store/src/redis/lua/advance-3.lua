-- Compare-and-advance: all of `amounts` is taken and `version` becomes `to`, or nothing happens. Returns the outcome, with
-- the version that the tree is at (ahead, behind) or the resource that is exhausted (exhausted).
local epochKey, treeKey, takesKey = KEYS[1], KEYS[2], KEYS[3]
local epoch, take, from, to, now, amounts, labels = unpack(ARGV)

if not isAdopted(epochKey, epoch) then return { 'absent' } end
local found = redis.call('HMGET', treeKey, 'epoch', 'version', 'expires_at', 'forget_at')
local version, expiresAt, forgetAt = found[2], found[3], found[4]
if found[1] ~= epoch then return { 'absent' } end
if tonumber(now) >= tonumber(expiresAt) then return { 'expired' } end
if redis.call('HEXISTS', takesKey, take) == 1 then return { 'advanced' } end
if version ~= from then return { tonumber(version) > tonumber(from) and 'ahead' or 'behind', version } end

local reserved = {}
for resource, amount in pairs(cjson.decode(amounts)) do
  local left = redis.call('HGET', treeKey, 'left:' .. resource)
  if left then
    if isLess(left, amount) then return { 'exhausted', resource } end
    reserved[resource] = amount
  end
end

redis.call('HSET', takesKey, take, cjson.encode(reserved))
redis.call('PEXPIREAT', takesKey, forgetAt)
for resource, amount in pairs(reserved) do add(treeKey, resource, '-', amount) end
for _, label in ipairs(cjson.decode(labels)) do redis.call('HSET', treeKey, 'label:' .. label, '') end
redis.call('HSET', treeKey, 'version', to)
return { 'advanced' }
