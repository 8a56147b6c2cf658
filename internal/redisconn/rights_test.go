package redisconn

import (
	"context"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"habilita/internal/testkit/redistest"
)

// leastACL returns the least that a user of a role must be allowed, as ACL SETUSER and an ACL
// file take it after the user's name and password. A cluster needs clusterACL too.
func leastACL(role Role) string {
	words := []string{"resetkeys", ourKeys}
	if role&writers != 0 {
		words = append(words, asynqKeys)
	}
	words = append(words, "resetchannels")
	if role&Worker != 0 {
		words = append(words, "&asynq:cancel")
	}
	if role&(Operator|Worker) != 0 {
		words = append(words, "&habilita:woken:*")
	}
	words = append(words, "-@all")
	for _, r := range rights {
		if word := "+" + r.name; r.roles&role != 0 && !slices.Contains(words, word) {
			words = append(words, word)
		}
	}
	return strings.Join(words, " ")
}

// clusterACL is what every role needs besides leastACL in a Redis Cluster.
const clusterACL = "+cluster|slots +command"

// setUser gives user app the words of an ACL, and returns a client that logs in as it.
func setUser(t *testing.T, s *redistest.Server, words ...string) redis.UniversalClient {
	t.Helper()
	line := []any{"acl", "setuser", "app", "reset", "on", ">pw"}
	for _, w := range words {
		for _, f := range strings.Fields(w) {
			line = append(line, f)
		}
	}
	if err := s.Client().Do(t.Context(), line...).Err(); err != nil {
		t.Fatal(err)
	}
	c, err := Open("redis://app:pw@"+s.Addr, Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// With the least ACL of its role a user passes, and each word that is taken away is
// named, with a remedy that mends it. Nothing is written.
func TestPreflightNamesMissingRights(t *testing.T) {
	s := redistest.Start(t)
	for name, role := range map[string]Role{"reader": Reader, "producer": Producer, "operator": Operator, "worker": Worker} {
		t.Run(name, func(t *testing.T) {
			words := strings.Fields(leastACL(role))
			c := setUser(t, s, words...)
			if got, err := Preflight(t.Context(), c, role); err != nil || len(got) != 0 {
				t.Fatalf("with the least ACL: %v, %v", got, err)
			}
			for _, w := range words {
				if w[0] != '+' && w[0] != '~' && w[0] != '&' || w == "+ping" || w == "+client|setname" {
					continue // see TestPreflightWithoutTheHandshake
				}
				less := slices.DeleteFunc(slices.Clone(words), func(x string) bool { return x == w })
				c := setUser(t, s, less...)
				got, err := Preflight(t.Context(), c, role)
				if err != nil || len(got) == 0 {
					t.Errorf("without %s: %v, %v", w, got, err)
					continue
				}
				_, remedy, _ := strings.Cut(got[0].Remedy, "`")
				command, _, _ := strings.Cut(remedy, "`")
				if !strings.Contains(got[0].What, w) || !strings.HasPrefix(command, "ACL SETUSER app ") {
					t.Errorf("without %s: %s", w, got[0])
					continue
				}
				line := []any{}
				for _, f := range strings.Fields(command) {
					line = append(line, strings.Trim(f, "'"))
				}
				if err := s.Client().Do(t.Context(), line...).Err(); err != nil {
					t.Errorf("%s: %v", command, err)
				}
				if got, err := Preflight(t.Context(), c, role); err != nil || len(got) != 0 {
					t.Errorf("without %s, after the remedy %s: %v, %v", w, command, got, err)
				}
			}
		})
	}
	if n, err := s.Client().DBSize(t.Context()).Result(); err != nil || n != 0 {
		t.Errorf("%d keys were written, %v", n, err)
	}
}

func TestPreflightLevelsOfRights(t *testing.T) {
	s := redistest.Start(t)
	tests := []struct {
		without string
		role    Role
		level   Level
		what    string
	}{
		{"+zadd", Producer, Refuse, "user app what is needed: +zadd"},
		{"+info", Worker, Refuse, "+info"},
		{"~asynq:*", Worker, Refuse, "~asynq:*"},
		{"&asynq:cancel", Worker, Refuse, "&asynq:cancel"},
		{"+multi", Producer, Refuse, "+multi"},
		{"+discard", Worker, Warn, "the rights of this user can't be checked"},
		{"+config|get", Worker, Warn, "after each of its restarts no call is made for one lease"},
		{"&habilita:woken:*", Worker, Warn, "woken later"},
	}
	for _, tt := range tests {
		words := slices.DeleteFunc(strings.Fields(leastACL(tt.role)), func(x string) bool { return x == tt.without })
		got, err := Preflight(t.Context(), setUser(t, s, words...), tt.role)
		if err != nil || len(got) != 1 || got[0].Level != tt.level || !strings.Contains(got[0].What, tt.what) {
			t.Errorf("without %s: %v, %v", tt.without, got, err)
		}
	}
	// All that is missing is named at once; nothing is left open in the connection.
	c := setUser(t, s, "~habilita:* -@all +client|setname +ping +info +multi +discard +get")
	got, err := Preflight(t.Context(), c, Producer)
	if err != nil || len(got) != 2 {
		t.Fatalf("%v, %v", got, err)
	}
	for _, w := range []string{"+evalsha", "+exec ", "+hset ", "~asynq:*"} {
		if !strings.Contains(got[0].What+" ", w) {
			t.Errorf("no %s in %s", w, got[0])
		}
	}
	if answer, err := c.Ping(t.Context()).Result(); err != nil || answer != "PONG" {
		t.Errorf("afterwards: %q, %v", answer, err)
	}
	// Without MULTI nothing may be tried, since it would be done.
	c = setUser(t, s, "~* +@all -multi")
	if got, err := Preflight(t.Context(), c, Worker); err != nil || len(got) != 1 || !strings.Contains(got[0].What, "+multi") {
		t.Errorf("%v, %v", got, err)
	}
	if n, err := s.Client().DBSize(t.Context()).Result(); err != nil || n != 0 {
		t.Errorf("%d keys were written, %v", n, err)
	}
}

// What a user lacks before it can ask at all is an error that Describe explains.
func TestPreflightWithoutTheHandshake(t *testing.T) {
	s := redistest.Start(t)
	for _, without := range []string{"-client|setname", "-ping"} {
		got, err := Preflight(t.Context(), setUser(t, s, leastACL(Worker), without), Worker)
		if !strings.Contains(Describe(err), "does not permit this user") {
			t.Errorf("without %s: %v, %v", without, got, err)
		}
	}
	c, err := Open("redis://app:wrong@"+s.Addr, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if got, err := Preflight(t.Context(), c, Worker); !strings.Contains(Describe(err), "refuses the user or password") {
		t.Errorf("wrong password: %v, %v", got, err)
	}
}

func TestPreflightOfAClusterWithTheLeastACL(t *testing.T) {
	t.Parallel()
	url, nodes := redistest.StartCluster(t, 2)
	for _, n := range nodes {
		setUser(t, n, leastACL(Worker), clusterACL)
	}
	ask := func() ([]Finding, error) {
		c, err := Open(strings.Replace(url, "://", "://app:pw@", 1), Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		return Preflight(t.Context(), c, Worker)
	}
	if got, err := ask(); err != nil || len(got) != 0 {
		t.Fatalf("%v, %v", got, err)
	}
	setUser(t, nodes[1], leastACL(Worker), clusterACL, "-zadd")
	got, err := ask()
	if err != nil || len(got) != 1 || got[0].Node != nodes[1].Addr || !strings.Contains(got[0].String(), "ACL SETUSER app +zadd") {
		t.Errorf("%v, %v", got, err)
	}
}

func TestPreflightIsQuick(t *testing.T) {
	c := redistest.Start(t).Client()
	// The handshake is not counted; pipelines have connections of their own.
	if _, err := c.Pipelined(t.Context(), func(p redis.Pipeliner) error { return p.Ping(t.Context()).Err() }); err != nil {
		t.Fatal(err)
	}
	trips := &tripCounter{}
	c.AddHook(trips)
	if got, err := Preflight(t.Context(), c, Producer); err != nil || len(got) != 0 {
		t.Fatal(got, err)
	}
	if trips.n != 2 {
		t.Errorf("%d round trips, want 2", trips.n)
	}
}

type tripCounter struct {
	n int
	DetachHook
}

func (c *tripCounter) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error { c.n++; return next(ctx, cmd) }
}

func (c *tripCounter) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error { c.n++; return next(ctx, cmds) }
}

// TestACLInTheDocs keeps the ACL lines of docs/redis.md equal to the program's.
func TestACLInTheDocs(t *testing.T) {
	b, err := os.ReadFile("../../docs/redis.md")
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Join(strings.Fields(string(b)), " ")
	for user, role := range map[string]Role{
		"habilita-worker": Worker, "habilita-producer": Producer, "habilita-operator": Operator, "habilita-reader": Reader,
	} {
		if want := "user " + user + " on >change-me " + leastACL(role) + " "; !strings.Contains(text, want) {
			t.Errorf("docs/redis.md lacks\n%s", want)
		}
	}
	if !strings.Contains(text, clusterACL) {
		t.Errorf("docs/redis.md lacks %s", clusterACL)
	}
}
