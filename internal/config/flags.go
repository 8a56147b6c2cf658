package config

import (
	"github.com/spf13/pflag"
)

// text is a flag's value as it was given. Load parses it, so that all faults come at
// once and not the first one alone.
type text struct{ value, kind string }

func (t *text) String() string     { return t.value }
func (t *text) Set(v string) error { t.value = v; return nil }
func (t *text) Type() string       { return t.kind }

// Bind adds the flags of the groups. A flag's help says its default and the variable of
// the same name. A secret gets a flag for its file alone.
func Bind(fs *pflag.FlagSet, groups Group) {
	for _, d := range table() {
		if d.group&groups == 0 {
			continue
		}
		if !d.secret {
			fs.Var(&text{d.def, d.kind}, d.flag(), d.meaning+" ["+d.variable+"]")
		}
		if d.file {
			fs.Var(&text{"", "path"}, d.flag()+"-file", fileMeaning(d)+" ["+d.variable+"_FILE]")
		}
	}
}

// given is the value of a flag that was on the command line.
func given(fs *pflag.FlagSet, name string) (value string, ok bool) {
	if fs == nil {
		return "", false
	}
	f := fs.Lookup(name)
	if f == nil || !f.Changed {
		return "", false
	}
	return f.Value.String(), true
}
