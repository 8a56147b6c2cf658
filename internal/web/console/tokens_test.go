package console

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"habilita/internal/control"
)

// A few tokens are ranked at each look, many once in a while; a failed ranking is none.
func TestRankingOfTokens(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	clock := func() time.Time { return now }
	reads := 0
	var rows []control.QuotaRow
	var failed error
	k := ranking{read: func(context.Context) ([]control.QuotaRow, error) { reads++; return rows, failed }}
	looks := func(want int) ranked {
		t.Helper()
		r, err := k.get(t.Context(), clock)
		if err != nil || reads != want {
			t.Fatalf("read %d times, not %d: %v", reads, want, err)
		}
		return r
	}
	rows = []control.QuotaRow{
		{TokenID: "ok-b", Used: 1, Quota: 1000}, {TokenID: "ok-a", Used: 1, Quota: 1000}, {TokenID: "more", Used: 2, Quota: 1000},
		{TokenID: "cools", Quota: 1000, CoolingUntil: control.Time{Time: now}}, {TokenID: "near", Used: 900, Quota: 1000},
	}
	r := looks(1)
	if want := []string{"near", "cools", "more", "ok-a", "ok-b"}; !slices.Equal(r.ids, want) || r.near != 1 || r.cooling != 1 {
		t.Errorf("%+v", r)
	}
	for i := range rankedAtEachLook {
		rows = append(rows, control.QuotaRow{TokenID: fmt.Sprintf("many-%04d", i), Quota: 1000})
	}
	if r = looks(2); len(r.ids) != len(rows) {
		t.Errorf("%d tokens", len(r.ids))
	}
	looks(2)
	now = now.Add(rankedFor - 1)
	looks(2)
	now = now.Add(1)
	looks(3)
	now, failed = now.Add(rankedFor), errors.New("Redis is away")
	if _, err := k.get(t.Context(), clock); !errors.Is(err, failed) {
		t.Errorf("%v", err)
	}
	failed = nil
	looks(5)
}
