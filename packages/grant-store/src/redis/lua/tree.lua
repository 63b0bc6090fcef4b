-- A tree is a hash: epoch, version, expires_at and forget_at (ms since the Unix epoch), a field `left:<resource>` for
-- each limit, and a field `label:<label>` for each label. Its takes are another hash: digest of the take's id -> what it reserved, as
-- JSON, or `settled`. Both are removed together when the tree is put anew.
--
-- No script may fail after its first write: Redis keeps what was written so far.

-- Exact integers, 0 <= n < 2^63, as decimal digits: a Lua number is a double, and rounds beyond 2^53.
local function isLess(a, b)
  if #a ~= #b then return #a < #b end
  return a < b
end

-- HINCRBY counts in 64 bits, and takes no '-0'.
local function add(treeKey, resource, sign, amount)
  if amount ~= '0' then redis.call('HINCRBY', treeKey, 'left:' .. resource, sign .. amount) end
end

local function put(treeKey, takesKey, epoch, version, expiresAt, forgetAt, left, labels)
  -- UNLINK: a tree may have many takes, and freeing them takes time.
  redis.call('UNLINK', treeKey, takesKey)
  redis.call('HSET', treeKey, 'epoch', epoch, 'version', version, 'expires_at', expiresAt, 'forget_at', forgetAt)
  for resource, amount in pairs(cjson.decode(left)) do redis.call('HSET', treeKey, 'left:' .. resource, amount) end
  for _, label in ipairs(cjson.decode(labels)) do redis.call('HSET', treeKey, 'label:' .. label, '') end
  redis.call('PEXPIREAT', treeKey, forgetAt)
end
