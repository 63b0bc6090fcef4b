-- Whether the store still is the one that the caller adopted: 1 or 0.
local epochKey = KEYS[1]
local epoch = ARGV[1]

return isAdopted(epochKey, epoch) and 1 or 0
