-- Puts the tree if there is none of this epoch, or an older version of it. 1: put; 0: not.
local epochKey, treeKey, takesKey = KEYS[1], KEYS[2], KEYS[3]
local epoch, version, expiresAt, forgetAt, left, labels = unpack(ARGV)

if not isAdopted(epochKey, epoch) then return 0 end
local found = redis.call('HMGET', treeKey, 'epoch', 'version')
if found[1] == epoch and tonumber(found[2]) >= tonumber(version) then return 0 end
put(treeKey, takesKey, epoch, version, expiresAt, forgetAt, left, labels)
return 1
