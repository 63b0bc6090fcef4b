-- Remembers a proof until `expiresAt`. 1: it is new; 0: it was seen, or its time is over; -1: not adopted.
local epochKey, proofKey = KEYS[1], KEYS[2]
local epoch, now, expiresAt, forgetAt = unpack(ARGV)

if not isAdopted(epochKey, epoch) then return -1 end
if tonumber(expiresAt) <= tonumber(now) then return 0 end
local rememberedUntil = redis.call('GET', proofKey)
if rememberedUntil and tonumber(rememberedUntil) > tonumber(now) then return 0 end
redis.call('SET', proofKey, expiresAt, 'PXAT', forgetAt)
return 1
