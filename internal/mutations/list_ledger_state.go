package main

// ledgerStateMutations are of what the ledger keeps of chains, tokens, waiters and batches.
var ledgerStateMutations = []mutation{
	{
		"a token given again is sealed anew", "the older sealed form stays",
		in(appendLua, "int(before + (more[token] or 0)) .. ':' .. seals[token]",
			"int(before + (more[token] or 0)) .. (kept and string.match(kept, ':.*') or ':' .. seals[token])"),
		chainPkg, "TestTokenGivenAgainIsSealedAnew",
	},
	{
		"a token given again is sealed anew", "not for a call that is known",
		in(appendLua, "if kept or more[token] then", "if more[token] then"),
		chainPkg, "TestTokenGivenAgainIsSealedAnew",
	},
	{
		"rekey beside a producer", "a token that was given meanwhile is left",
		in("internal/chain/retention.go", "if err != nil || n == 1 {\n\t\t\treturn n == 1, err", "if err != nil || n <= 1 {\n\t\t\treturn n == 1, err"),
		chainPkg, "TestResealIsCompareAndSet",
	},
	{
		"a new head begins anew", "it keeps push-back, failures and missed feedings of the one before it",
		in(baseLua, "redis.call('HDEL', c.key, unpack(OF_HEAD))", "redis.call('HDEL', c.key, 'n', 'e', 'd')"),
		chainPkg, "TestNewHeadBeginsAnew",
	},
	{
		"a new head begins anew", "not where its run goes on",
		in(ledgerLua, "if c.lazy then drop_fields(c, 'p', 't', 'y', 'u', 'm') end", ""),
		chainPkg, "TestNewHeadBeginsAnew",
	},
}
