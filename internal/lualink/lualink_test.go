package lualink

import (
	"testing"
)

const library = `-- What the test needs.
local P = KEYS[1]
local LIST = P .. 'list' -- of all
local MOST = 500
local NAME = 'solo'
local R = { state = 1, -- of a call
  server = 2 }
local CHAIN = { state = 's', open_of = 'o:', }
local told = {}
local shop = {}

local function one(n) return n + MOST end

-- two is never used by three.
local function two(n)
  if n > MOST then
    return one(n)
  end
  return told[n]
end

function shop.open(rec)
  return rec[R.state] .. NAME
end

function shop.close(rec)
  return shop.open(rec) .. LIST, { state = 1 }
end

function shop.sell(rec) -- rare
  return shop.open(rec)
end

local function refuse(rec) return shop.sell(rec) end -- rare

local function serve(rec) return rec and refuse(rec) end
`

func TestScriptHasWhatItUses(t *testing.T) {
	for name, c := range map[string]struct{ main, want string }{
		"nothing": {"return 1\n", "return 1\n"},
		"a function and what it uses": {"return two(3)\n", `local told = {}
local function one(n) return n + 500 end
local function two(n)
  if n > 500 then
    return one(n)
  end
  return told[n]
end
return two(3)
`},
		"a function of a table": {"return shop.close(R.server) -- of a call\n", `local P = KEYS[1]
local LIST = P .. 'list'
local function shop_open(rec)
  return rec[1] .. 'solo'
end
local function shop_close(rec)
  return shop_open(rec) .. LIST, { state = 1 }
end
return shop_close(2)
`},
		"rare functions": {"return serve(2) or refuse(3)\n", `local rare, made
local function shop_open(rec)
  return rec[1] .. 'solo'
end
local function serve(rec) return rec and rare().refuse(rec) end
rare = function()
if made then return made end
local function shop_sell(rec)
  return shop_open(rec)
end
local function refuse(rec) return shop_sell(rec) end
made = { shop_sell = shop_sell, refuse = refuse, }
return made
end
return serve(2) or rare().refuse(3)
`},
		"names of texts": {"return redis.call('HGET', CHAIN.open_of .. NAME, CHAIN.state), { [CHAIN.state] = 1 }\n",
			"return redis.call('HGET', 'o:' .. 'solo', 's'), { ['s'] = 1 }\n"},
		"fields are no names": {"local a = { b = 1 }\nreturn a.one, a.told\n", "local a = { b = 1 }\nreturn a.one, a.told\n"},
	} {
		if have := Parse(library).Script(c.main); have != c.want {
			t.Errorf("%s:\n%s\nwant:\n%s", name, have, c.want)
		}
	}
}

func TestOtherFormsPanic(t *testing.T) {
	for name, text := range map[string]string{
		"a statement":                  "redis.call('PING')\n",
		"two definitions of a name":    "local A = 1\nlocal A = 2\n",
		"two functions of a name":      "local function f() return 1 end\nlocal function f() return 2 end\n",
		"two names in a line":          "local A, B = KEYS[1], KEYS[2]\n",
		"a function of no table":       "function shop.open() return 1 end\n",
		"a function that does not end": "local function f()\n  return 1\n",
		"a name that a table lacks":    "local C = { state = 's' }\nlocal function f(c) return c[C.sate] end\n",
		"a table of names as a value":  "local C = { state = 's' }\nlocal function f() return C end\n",
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			Parse(text)
		}()
	}
}
