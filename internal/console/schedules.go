package console

import (
	"context"
	"net/http"
	"time"
)

// Schedule is a recurring run.
type Schedule struct {
	Name     string
	Cron     string
	Timezone string
	Rows     int
	Paused   bool
	Next     time.Time // zero: none
	Last     time.Time // zero: never ran
	// LastResult is what became of the last run: a batch's name, or why there is none.
	LastBatch string
	LastError string
}

// BatchPath is the address of the last run's batch.
func (s Schedule) BatchPath() string { return batchPath(s.LastBatch) }

// Schedules tells of the recurring runs.
type Schedules interface {
	Schedules(ctx context.Context) ([]Schedule, error)
}

func (c *Console) schedulesTopic() topic {
	return topic{"schedules", func(ctx context.Context) (any, error) {
		all, err := c.o.Schedules.Schedules(ctx)
		return all, err
	}}
}

func (c *Console) schedulesPage(w http.ResponseWriter, r *http.Request) {
	v, err := c.read(r.Context(), c.schedulesTopic())
	if err != nil {
		c.failRead(w, r, err)
		return
	}
	p := c.newPage(r, "schedules")
	p.Live, p.Reload, p.Data = eventsURL("schedules"), reloadAfter, v
	c.show(w, r, http.StatusOK, p)
}
