package main

// ledgerStateMutations are of what the ledger keeps of chains, tokens, waiters and batches.
var ledgerStateMutations = []mutation{
	{
		"a token given again is sealed anew", "the older sealed form stays",
		in(appendLua, "(many == 1 and '1:' or many .. ':') .. seals[k]",
			"many .. (kept[k] and string.match(kept[k], ':.*') or ':' .. seals[k])"),
		chainPkg, "TestTokenGivenAgainIsSealedAnew",
	},
	{
		"a token given again is sealed anew", "not for a call that is known",
		in(appendLua, "if had or many > 0 then", "if more[k] then"),
		chainPkg, "TestTokenGivenAgainIsSealedAnew",
	},
	{
		"rekey beside a producer", "a token that was given meanwhile is left",
		in("internal/ledger/retention.go", "if err != nil || n == 1 {\n\t\t\treturn n == 1, err", "if err != nil || n <= 1 {\n\t\t\treturn n == 1, err"),
		chainPkg, "TestResealIsCompareAndSet",
	},
	{
		"a new head begins anew", "it keeps push-back, failures and missed dispatches of the one before it",
		in(baseLua, "redis.call('HDEL', c.key, unpack(of_head))", "redis.call('HDEL', c.key, 'n', 'e', 'd')"),
		chainPkg, "TestNewHeadBeginsAnew",
	},
	{
		"a new head begins anew", "not where its run goes on",
		in(ledgerLua, "    drop_fields(c, C.first_push_back, C.failures, C.reason, C.waits_until, C.missed) -- start", "    -- start"),
		chainPkg, "TestNewHeadBeginsAnew",
	},
	{
		"every waiter is delivered", "a program's release drops a chain",
		in(quotaLua, "        redis.call('ZADD', prefix .. 'ready', now, waiter)\n", ""),
		chainPkg, "TestAnotherProgramsSlotGoesToAChain",
	},
	{
		"every waiter is delivered", "a program that freed a chain's slot does not signal its bucket",
		in("internal/quota/token.go", "\tif ready {\n", "\tif false {\n"),
		chainPkg, "TestAnotherProgramsSlotGoesToAChain",
	},
	{
		"every waiter is delivered", "the ledger takes every waiter for a chain",
		in(ledgerLua, "    if quota.is_chain(token, id) then\n", "    if true then\n"),
		chainPkg, "TestLedgerWakesEveryKindOfWaiter",
	},
	{
		"every waiter is delivered", "one that died takes the slot with it",
		in(quotaLua, "return type(heard) == 'number' and heard > 0", "return true"),
		chainPkg, "TestLedgerWakesEveryKindOfWaiter",
	},
	{
		"a lapsed slot wakes who waits", "a chain that gave its slot away sleeps on",
		in(finishLua, "if lapse and tonumber(lapse) < till then till = tonumber(lapse) end", ""),
		chainPkg, "TestChainThatYieldsComesBackWithALapse",
	},
	{
		"recall of all chains of a token", "one slice of them is all",
		in(dispatchLua, "  if #found == most then\n", "  if false then\n"),
		chainPkg, "TestRecallFindsAllChainsOfTheToken",
	},
	{
		"recall of all chains of a token", "SetLicenses recalls none",
		in("internal/quota/lua/licenses.lua", "quota.recall(KEYS[1], ARGV[1], 'quota', now)", "0"),
		chainPkg, "TestRecallFindsAllChainsOfTheToken",
	},
	{
		"recall of all chains of a token", "Lift recalls none",
		in("internal/quota/lua/cool.lua", "quota.recall(KEYS[1], ARGV[1], 'cooling', now)", "0"),
		chainPkg, "TestRecallFindsAllChainsOfTheToken",
	},
	{
		"licences that were set to stay", "they go with the token's last record",
		in(purgeLua, "if redis.call('SREM', P .. 'lent', token) == 1 then", "if true then"),
		chainPkg, "TestPurgeKeepsLicencesThatWereSetToStay",
	},
	{
		"when a batch was through", "its last call does not say so if the chain goes on",
		in(finishLua, "if more and c[C.head] ~= '' and split(c[C.head]) == batch then", "if more then"),
		"./internal/ledger", "TestBatchKnowsWhenItsLastCallEnded",
	},
	{
		"names of what is stored", "a chain's failures are loaded as its reason",
		in(baseLua, "[C.failures] = v[8] or nil, [C.reason] = v[9] or nil", "[C.failures] = v[9] or nil, [C.reason] = v[8] or nil"),
		chainPkg, "TestChainIsLoadedWithAllFields",
	},
	{
		"names of what is stored", "a field has another name than in the version before",
		in("internal/ledger/fields.go", `"m",  // times`, `"i",  // times`),
		chainPkg, "TestNamesOfWhatIsStored",
	},
	{
		"names of what is stored", "a script is made though it has a name that nobody defined",
		in("internal/lualink/lualink.go", "} else if l.names[word] {", "} else if false {"),
		"./internal/lualink", "TestOtherFormsPanic",
	},
}
