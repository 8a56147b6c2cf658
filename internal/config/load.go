package config

import (
	"strings"

	"github.com/spf13/pflag"
)

// Load reads the settings of the groups: flags that were given, then getenv (such as
// os.Getenv), then defaults. Flags that were never bound, or a nil fs, are no fault. The
// error is an *Error with every fault; the Settings are then not to be used.
func Load(fs *pflag.FlagSet, getenv func(string) string, groups Group) (Settings, error) {
	l := &loader{fs: fs, getenv: getenv, groups: groups, bad: map[string]bool{}}
	for _, d := range table() {
		l.load(d)
	}
	l.together()
	if len(l.faults) > 0 {
		return Settings{}, &Error{Faults: l.faults}
	}
	return l.s, nil
}

type loader struct {
	fs     *pflag.FlagSet
	getenv func(string) string
	groups Group
	s      Settings
	faults []Fault
	bad    map[string]bool // variables with a fault, which are compared with no other
}

// origin is where a value came from.
type origin struct {
	value string
	flag  string // with dashes; empty where it was no flag
	ok    bool   // something was given
}

func (l *loader) load(d setting) {
	if d.group&l.groups == 0 {
		if d.def != "" {
			_ = d.set(&l.s, d.def) // a zone that can't be loaded stays nil
		}
		return
	}
	from, fine := l.find(d)
	if !fine {
		return
	}
	if !from.ok {
		from.value = d.def
	}
	if !from.ok && d.def == "" {
		if d.secret && !d.optional {
			l.fault(d, Fault{Want: "is not set and is required; make one with: enqueue keygen"})
		}
		return
	}
	if d.file && from.flag == "--"+d.flag() && carriesSecret(from.value) {
		l.fault(d, Fault{Source: from.flag, Value: redacted, Want: "has a user or password, which a flag would show to everybody on this machine; " +
			"give it in the environment, or a file that " + d.variable + "_FILE names"})
		return
	}
	if err := d.set(&l.s, from.value); err != nil {
		l.fault(d, Fault{Source: from.flag, Value: d.shown(from.value), Want: err.Error()})
	}
}

// find looks for a setting's value; it is not fine where a fault was reported.
func (l *loader) find(d setting) (from origin, fine bool) {
	name := d.flag()
	direct, isDirect := "", false
	if !d.secret {
		direct, isDirect = given(l.fs, name)
	}
	path, isFile := "", false
	if d.file {
		path, isFile = given(l.fs, name+"-file")
	}
	flags := isDirect || isFile
	if !flags {
		direct, isDirect = l.env(d.variable)
		if d.file {
			path, isFile = l.env(d.variable + "_FILE")
		}
	}
	as := func(flag string) string {
		if flags {
			return "--" + flag
		}
		return ""
	}
	switch {
	case isDirect && isFile:
		l.fault(d, Fault{Want: "is given twice, directly and as a file; want one of them"})
		return origin{}, false
	case isFile:
		v, ok := l.readFile(d, path, as(name+"-file"))
		return origin{v, as(name + "-file"), true}, ok
	case isDirect:
		return origin{strings.TrimSpace(direct), as(name), true}, true
	}
	return origin{}, true
}

func (l *loader) env(name string) (value string, ok bool) {
	v := strings.TrimSpace(l.getenv(name))
	return v, v != ""
}

func (l *loader) fault(d setting, f Fault) {
	if f.Variable == "" {
		f.Variable = d.variable
	}
	l.bad[d.variable] = true
	l.faults = append(l.faults, f)
}
