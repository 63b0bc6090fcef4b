-- Replaces the tree, including its reservations, at any version. 1: put; 0: not adopted.
local epochKey, treeKey, takesKey = KEYS[1], KEYS[2], KEYS[3]
local epoch, version, expiresAt, forgetAt, left, labels = unpack(ARGV)

if not isAdopted(epochKey, epoch) then return 0 end
put(treeKey, takesKey, epoch, version, expiresAt, forgetAt, left, labels)
return 1
