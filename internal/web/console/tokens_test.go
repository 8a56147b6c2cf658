package console

import (
	"slices"
	"testing"
	"time"

	"habilita/internal/control"
)

func TestRankingOfTokens(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	r := rank([]control.QuotaRow{
		{TokenID: "ok-b", Used: 1, Quota: 1000}, {TokenID: "ok-a", Used: 1, Quota: 1000}, {TokenID: "more", Used: 2, Quota: 1000},
		{TokenID: "cools", Quota: 1000, CoolingUntil: control.Time{Time: now}}, {TokenID: "near", Used: 900, Quota: 1000},
	})
	if want := []string{"near", "cools", "more", "ok-a", "ok-b"}; !slices.Equal(r.ids, want) || r.Near != 1 || r.CoolDown != 1 {
		t.Errorf("%+v", r)
	}
}
