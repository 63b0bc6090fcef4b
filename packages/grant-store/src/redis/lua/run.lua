-- The run that the data is in, read in the same atomic step as the work: so no connection can be mistaken about it.
--   run_id         changes with the process: a restart, a failover to another server
--   master_replid  changes with the history: a promoted replica, or this same server after it had followed another
--   evicted_keys   changes with every evicted key, even if the policy was set back since
local function run()
  return redis.call('INFO', 'server'):match('run_id:(%x+)')
    .. ' ' .. redis.call('INFO', 'replication'):match('master_replid:(%x+)')
    .. ' ' .. redis.call('INFO', 'stats'):match('evicted_keys:(%d+)')
end

-- Whether the store still has the epoch that the caller adopted, and still is in the run that the epoch was made in.
local function isAdopted(epochKey, epoch)
  local found = redis.call('HMGET', epochKey, 'epoch', 'run')
  return found[1] == epoch and found[2] == run()
end
