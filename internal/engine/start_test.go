package engine

import (
	"errors"
	"testing"
	"time"
)

// at and in mean the same by every way in.
func TestStart(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 1_500_000, time.UTC)
	for _, c := range []struct {
		given map[string]string
		want  time.Time
		field string // at fault
	}{
		{map[string]string{}, time.Time{}, ""},
		{map[string]string{"in": "10m"}, time.Date(2026, 11, 23, 12, 10, 0, 1_000_000, time.UTC), ""},
		{map[string]string{"in": "0s"}, now.Truncate(time.Millisecond), ""},
		{map[string]string{"in": "-1s"}, time.Time{}, "in"},
		{map[string]string{"in": "88000h"}, time.Time{}, "in"},
		{map[string]string{"in": "soon"}, time.Time{}, "in"},
		{map[string]string{"at": "2026-11-23T12:00:01Z"}, time.Date(2026, 11, 23, 12, 0, 1, 0, time.UTC), ""},
		{map[string]string{"at": "2026-11-23T12:00:00Z"}, time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC), ""}, // it has passed, which is not the same as none
		{map[string]string{"at": ""}, time.Time{}, "at"},
		{map[string]string{"at": "9999-11-23T12:00:00Z"}, time.Time{}, "at"},
		{map[string]string{"at": "2026-11-23T12:00:01Z", "in": "10m"}, time.Time{}, "at"},
	} {
		s, err := ParseStart(func(name string) (string, bool) { text, is := c.given[name]; return text, is })
		e, _ := errors.AsType[*StartError](err)
		if (e != nil) != (c.field != "") || e != nil && e.Field != c.field {
			t.Errorf("%v: %v", c.given, err)
		}
		if err != nil {
			continue
		}
		if at := s.Time(now); !at.Equal(c.want) {
			t.Errorf("%v: %v", c.given, at)
		}
	}
}
