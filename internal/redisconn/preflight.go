package redisconn

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/redis/go-redis/v9"
)

// Level is how grave a finding is.
type Level string

const (
	// Refuse: calls could be lost, or nothing works; don't start.
	Refuse Level = "refuse"
	// Warn: it works, with less safety than it could have.
	Warn Level = "warn"
)

// Finding is one thing that is wrong with a Redis.
type Finding struct {
	Level  Level
	Node   string // in a cluster the master's host:port, else ""
	What   string // a sentence's worth, such as "maxmemory-policy is allkeys-lru: Redis may delete calls"
	Remedy string // what to do, with the command where there is one
}

// String returns "what; remedy", with the node if there are several.
func (f Finding) String() string {
	s := f.What + "; " + f.Remedy
	if f.Node != "" {
		s = f.Node + ": " + s
	}
	return s
}

// Split divides findings into warnings and a refusal: an error with all reasons to
// refuse, a line each, or nil.
func Split(found []Finding) (warnings []string, refusal error) {
	var refused []error
	for _, f := range found {
		if f.Level == Refuse {
			refused = append(refused, errors.New(f.String()))
			continue
		}
		warnings = append(warnings, f.String())
	}
	return warnings, errors.Join(refused...)
}

// oldest is the first version with all that is needed.
var oldest = [2]int{6, 2}

// Preflight asks Redis, or each master of a cluster, whether it will keep what is
// entrusted to it, and whether its ACL allows what the role needs; role 0 leaves
// the ACL alone. It takes two round trips and changes nothing. It passes over what
// Redis does not tell (a managed service, miniredis). The gravest findings come first.
// If Redis can't be reached or refuses PING, it returns that error (see Describe) and
// no findings. For other roles than Worker, a cluster's master that is away is a
// finding, if another one answers.
func Preflight(ctx context.Context, rdb redis.UniversalClient, role Role) ([]Finding, error) {
	var all []Finding
	var mu sync.Mutex
	var away error // of a master, while no other one answered
	answered := false
	err := eachMaster(ctx, rdb, func(ctx context.Context, node redis.UniversalClient, name string) error {
		found, err := inspect(ctx, node, role, name != "")
		mu.Lock()
		defer mu.Unlock()
		if answered = answered || err == nil; name != "" && role&Worker == 0 && Passing(err, true) {
			away = err
			found, err = []Finding{{Level: Warn, What: "this node can't be reached, and what it holds neither read nor changed: " + Describe(err),
				Remedy: "start it again, or let a replica take over"}}, nil
		}
		for i := range found {
			found[i].Node = name
		}
		all = append(all, found...)
		return err
	})
	if err == nil && !answered {
		err = away
	}
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(all, func(a, b Finding) int { // refuse stands before warn
		return cmp.Or(strings.Compare(string(a.Level), string(b.Level)), strings.Compare(a.Node, b.Node))
	})
	return all, nil
}

// TooFewReplicas finds the masters that have fewer replicas than WAIT_REPLICAS asks for, or on which WAIT
// is refused.
func TooFewReplicas(ctx context.Context, rdb redis.UniversalClient, replicas int) (found []Finding, err error) {
	if replicas <= 0 {
		return nil, nil
	}
	var mu sync.Mutex
	err = eachMaster(ctx, rdb, func(ctx context.Context, node redis.UniversalClient, name string) error {
		info, err := askInfo(ctx, node, "replication")
		if err != nil {
			return err
		}
		online := onlineReplicas(info)
		refused := node.Do(ctx, "wait", 0, 1).Err()
		mu.Lock()
		defer mu.Unlock()
		switch {
		case noPermission(refused):
			found = append(found, Finding{Level: Refuse, Node: name, What: "Redis's ACL does not allow user " + userOf(node) + " the command WAIT, which WAIT_REPLICAS needs",
				Remedy: grant(userOf(node), []string{"+wait"})})
		case online < replicas:
			found = append(found, Finding{Level: Refuse, Node: name,
				What:   fmt.Sprintf("%d replicas are online, and WAIT_REPLICAS is %d: no call is made until there are enough", online, replicas),
				Remedy: "start replicas, or lower WAIT_REPLICAS"})
		}
		return nil
	})
	slices.SortFunc(found, func(a, b Finding) int { return strings.Compare(a.Node, b.Node) })
	return found, err
}

// eachMaster calls do for all masters of a cluster at the same time, or for the one Redis, whose name is "".
func eachMaster(ctx context.Context, rdb redis.UniversalClient, do func(ctx context.Context, node redis.UniversalClient, name string) error) error {
	if c, ok := rdb.(*redis.ClusterClient); ok {
		return c.ForEachMaster(ctx, func(ctx context.Context, node *redis.Client) error { return do(ctx, node, node.Options().Addr) })
	}
	return do(ctx, rdb, "")
}

// onlineReplicas counts the replicas of a master that its INFO replication shows at work.
func onlineReplicas(info map[string]string) (n int) {
	for field, value := range info {
		if strings.HasPrefix(field, "slave") && strings.Contains(value, "state=online") {
			n++
		}
	}
	return n
}

func inspect(ctx context.Context, rdb redis.Cmdable, role Role, inCluster bool) ([]Finding, error) {
	pipe := rdb.Pipeline()
	ping := pipe.Ping(ctx)
	info := pipe.Info(ctx)
	// Many managed services refuse this: then it isn't known.
	conf := pipe.ConfigGet(ctx, "appendfsync")
	opened := pipe.Do(ctx, "multi")
	closed := pipe.Do(ctx, "discard")
	pipe.Do(ctx, "exec") // closes what DISCARD was not allowed to
	_, failed := pipe.Exec(ctx)
	if err := ping.Err(); err != nil {
		return nil, err
	}
	if ping.Val() == "" {
		return nil, failed // a connection that was refused leaves its commands without an error
	}
	fields, err := infoFields(info.Result())
	if err != nil {
		return nil, err
	}
	found := findingsOf(fields, inCluster)
	if fields["aof_enabled"] == "1" && conf.Err() == nil && conf.Val()["appendfsync"] == "no" {
		found = append(found, Finding{Level: Warn,
			What:   "appendfsync is no: a crash of the machine may lose up to half a minute of acknowledged calls",
			Remedy: "`CONFIG SET appendfsync everysec`, and the same in redis.conf"})
	}
	if role&Worker != 0 && !isSentinel(fields) {
		found = append(found, unread(fields, info.Err(), conf.Err())...)
		found = append(found, full(fields)...)
	}
	// Ask for the ACL only if the server says that it is a Redis, or refuses to say it.
	if role == 0 || isSentinel(fields) || fields["redis_version"] == "" && !noPermission(info.Err()) {
		return found, nil
	}
	missing, err := missingRights(ctx, rdb, role, opened.Err(), closed.Err())
	if err != nil {
		return nil, err
	}
	return append(found, missing...), nil
}

// unread names what a worker can't see of a Redis for other causes than its ACL, which shows
// among the missing rights.
func unread(info map[string]string, infoErr, configErr error) (found []Finding) {
	if hidden := infoErr != nil && !noPermission(infoErr); hidden || info["redis_version"] != "" && info["run_id"] == "" {
		found = append(found, Finding{Level: Refuse, What: "INFO can't be read: a restart of Redis, which may lose requests in flight, would not be seen",
			Remedy: "in redis.conf, take out the rename-command of INFO; behind a proxy, connect to Redis itself"})
	}
	if configErr != nil && !noPermission(configErr) && info["redis_version"] != "" {
		found = append(found, Finding{Level: Warn,
			What:   "CONFIG GET can't be read: whether Redis writes every command to disk can't be seen, so after each of its restarts no call is made for one lease",
			Remedy: "allow CONFIG GET (no rename-command for CONFIG) if appendfsync is always; else there is nothing to do"})
	}
	return found
}

// full warns of a Redis whose memory is used up, as Redis itself counts it.
func full(info map[string]string) []Finding {
	number := func(field string) int {
		n, _ := strconv.Atoi(info[field]) // 0: it is not told
		return n
	}
	most := number("maxmemory")
	if most == 0 || number("used_memory")-number("mem_not_counted_for_evict") < most {
		return nil
	}
	return []Finding{{Level: Warn, What: fmt.Sprintf("Redis is full: maxmemory is %d bytes, and all of it is used, so no new work is taken", most),
		Remedy: "raise it (`CONFIG SET maxmemory <bytes>`, and the same in redis.conf), or let settled batches expire"}}
}

// findingsOf goes by the fields of INFO; those that are missing are passed over.
func findingsOf(info map[string]string, inCluster bool) (found []Finding) {
	add := func(l Level, what, remedy string) {
		found = append(found, Finding{Level: l, What: what, Remedy: remedy})
	}
	if v := info["redis_version"]; tooOld(v) {
		add(Refuse, fmt.Sprintf("Redis is version %s, and %d.%d is needed", v, oldest[0], oldest[1]), "install a newer Redis")
	}
	if isSentinel(info) {
		add(Refuse, "this is a Sentinel, which holds no data", "write redis-sentinel://host:26379/mymaster in REDIS_URL")
		return found
	}
	if info["cluster_enabled"] == "1" && !inCluster {
		add(Refuse, "this Redis is a node of a cluster", "write redis-cluster://host:port,... in REDIS_URL")
	}
	if info["role"] == "slave" {
		add(Refuse, "this Redis is a replica and takes no writes", "point REDIS_URL at the master, or use redis-sentinel://")
	}
	if p := info["maxmemory_policy"]; p != "" && p != "noeviction" {
		add(Refuse, "maxmemory-policy is "+p+": a full Redis deletes calls that were acknowledged",
			"`CONFIG SET maxmemory-policy noeviction`, and the same in redis.conf")
	}
	if info["aof_enabled"] == "0" {
		add(Warn, "appendonly is off: a restart of Redis loses what came after its last snapshot",
			"`CONFIG SET appendonly yes`, and the same in redis.conf")
	}
	if info["aof_last_write_status"] == "err" {
		add(Warn, "Redis could not write its append-only file the last time", "look for a full disk in its log")
	}
	return found
}

// isSentinel reads the fields of INFO.
func isSentinel(info map[string]string) bool {
	return cmp.Or(info["redis_mode"], info["server_mode"]) == "sentinel" // the second one is Valkey's
}

// tooOld is false for what can't be read as a version.
func tooOld(version string) bool {
	var have [2]int
	_, err := fmt.Sscanf(version, "%d.%d", &have[0], &have[1])
	return err == nil && slices.Compare(have[:], oldest[:]) < 0
}
