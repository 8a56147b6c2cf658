package main

const (
	quotaLua = "internal/quota/lua/library.lua"
	quotaPkg = "./internal/quota"
)

// quotaMutations are of a token's slots and its count of a day.
var quotaMutations = []mutation{
	{
		"a waiter that was granted leaves the queue", "it stays",
		in(quotaLua, "  if since > 0 then redis.call('ZREM', prefix .. 'waiters:' .. token, waiter) end\n", ""),
		quotaPkg, "TestMiniredis",
	},
	{
		"slots of a token", "one slot more is granted",
		in(quotaLua, "if busy >= s.slots then", "if busy > s.slots then"),
		quotaPkg, "TestMiniredis/slots",
	},
	{
		"lease of a slot", "a slot is taken without end",
		in(quotaLua, "local reclaimed = busy > 0 and redis.call('ZREMRANGEBYSCORE', slots, '-inf', now) or 0", "local reclaimed = 0"),
		quotaPkg, "TestMiniredis/lease_end_frees",
	},
	{
		"nonce of a slot", "a release frees the oldest slot, not its own",
		in(quotaLua, "return redis.call('ZREM', prefix .. 'slots:' .. token, nonce) == 1",
			"return redis.call('ZPOPMIN', prefix .. 'slots:' .. token)[1] ~= nil"),
		quotaPkg, "TestMiniredis/owner_alone",
	},
	{
		"a grant asked for twice is granted once", "the grant that a nonce holds is not looked for",
		in(quotaLua, "if again then return again end", ""),
		quotaPkg, "TestMiniredis/same_nonce_once",
	},
	{
		"count at the grant", "a grant is not counted",
		in(quotaLua, "local n = redis.call('INCR', key)", "local n = used(prefix, token, name_of(s, d)) + 1"),
		quotaPkg, "TestMiniredis/quota",
	},
	{
		"quota of a day", "it is not looked at",
		in(quotaLua, "if today > limit then", "if false then"),
		quotaPkg, "TestMiniredis/quota",
	},
	{
		"count on both days", "a lease that crosses midnight is not counted on the next day",
		in(quotaLua, "if count(prefix, token, s, d + 1) > limit then", "if used(prefix, token, name_of(s, d + 1)) >= limit then"),
		quotaPkg, "TestMiniredis/both_days",
	},
	{
		"count on both days", "the guard is left out of what may cross midnight",
		in(quotaLua, "return at + s.lease + s.guard >= midnight", "return at + s.lease >= midnight"),
		quotaPkg, "TestMiniredis/both_days",
	},
	{
		"quota of the next day", "a lease that crosses midnight needs only this day's",
		in(quotaLua, "if count(prefix, token, s, d + 1) > limit then", "if count(prefix, token, s, d + 1) < 0 then"),
		quotaPkg, "TestMiniredis/tomorrow_is_used",
	},
	{
		"a refusal uses nothing", "what has no slot stays counted",
		in(quotaLua, "    uncount(prefix, token, s, d, twice)\n    local first", "    local first"),
		quotaPkg, "TestMiniredis",
	},
	{
		"a refusal uses nothing", "what is above the quota stays counted",
		in(quotaLua, "    uncount(prefix, token, s, d)\n    return refuse('quota'", "    return refuse('quota'"),
		quotaPkg, "TestMiniredis",
	},
	{
		"a refusal uses nothing", "what is above the next day's quota stays counted on this one",
		in(quotaLua, "uncount(prefix, token, s, d, twice)\n      return", "uncount(prefix, token, s, d + 1)\n      return"),
		quotaPkg, "TestMiniredis",
	},
	{
		"day guard", "grants go on until midnight",
		in(quotaLua, "  if now >= midnight - s.guard then return refuse('midnight', midnight + s.guard, now) end\n", ""),
		quotaPkg, "TestMiniredis/midnight",
	},
	{
		"day guard", "grants begin at midnight",
		in(quotaLua, "  if now < begun + s.guard then return refuse('midnight', begun + s.guard, now) end\n", ""),
		quotaPkg, "TestMiniredis/midnight",
	},
	{
		"give-back", "what was not sent stays counted",
		in(quotaLua, "redis.call('DECR', key)", "redis.call('EXISTS', key)"),
		quotaPkg, "TestMiniredis/give_back",
	},
	{
		"give-back on its day", "it is given back on the first of its days alone",
		in(quotaLua, "    if (tonumber(redis.call('GET', key)) or 0) > 0 then redis.call('DECR', key) end\n  end",
			"    if (tonumber(redis.call('GET', key)) or 0) > 0 then redis.call('DECR', key) end\n    break\n  end"),
		quotaPkg, "TestMiniredis/both_days",
	},
	{
		"give-back by its owner", "it is given back as often as it is asked for",
		in(quotaLua, "if not quota.release(prefix, token, nonce) then return false end", "quota.release(prefix, token, nonce)"),
		quotaPkg, "TestMiniredis/give_back",
	},
	{
		"grant freeze after a restart of Redis", "grants do not look at it",
		in(quotaLua, "  if now < thaws then return refuse('restart', thaws, now) end\n", ""),
		quotaPkg, "TestMiniredis/freeze",
	},
	{
		"wake of the longest waiter", "the one who came last is woken",
		in(quotaLua, "return redis.call('ZPOPMIN', waiters)[1]", "return redis.call('ZPOPMAX', waiters)[1]"),
		quotaPkg, "TestMiniredis/waiters",
	},
	{
		"cooling of a token", "it is not looked at",
		in(quotaLua, "if cool[1] and tonumber(cool[1]) > now then\n    local probe", "if false then\n    local probe"),
		quotaPkg, "TestMiniredis/cooling",
	},
	{
		"one gentle probe of a cooling token", "every try is a probe",
		in(quotaLua, "redis.call('HSET', cooling, 'probe', int(ends + step), 'step', int(step))", "redis.call('HSET', cooling, 'step', int(step))"),
		quotaPkg, "TestMiniredis/probe",
	},
	{
		"restart hold", "a sync of the quota asks on a Redis that no worker has seen since its restart",
		in("internal/engine/quotasync.go", "&& now != e.Run {", "&& now == \"\" {"),
		"./internal/engine", "TestQuotaSyncAfterARestartOfRedis",
	},
	{
		"restart hold", "a sync of the quota does not keep it",
		in(quotaLua, "return to > 0 and math.max(to + s.lease, not_before) or not_before", "return not_before"),
		"./internal/engine", "TestQuotaSyncKeepsTheHold",
	},
	{
		"restart hold", "a sync of the quota uses a grant of a Redis that restarted",
		in("internal/engine/quotasync.go", "case q.restarts.Load() > 0:", "case false:"),
		"./internal/engine", "TestQuotaSyncWhileRedisRestarts",
	},
}
