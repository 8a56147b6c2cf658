package console

import (
	"context"
	"net/http"

	"habilita/internal/membership"
)

// kindWorker is how workers call themselves where they agree.
const kindWorker = "worker"

func countWorkers(all []membership.Process) (n int) {
	for _, p := range all {
		if p.Kind == kindWorker {
			n++
		}
	}
	return n
}

type workersData struct {
	Workers, Others []membership.Process
}

func (c *Console) workersTopic() topic {
	return topic{"workers", func(ctx context.Context) (any, error) {
		all, err := c.o.Processes.Alive(ctx)
		if err != nil {
			return nil, err
		}
		var d workersData
		for _, p := range all {
			if p.Kind == kindWorker {
				d.Workers = append(d.Workers, p)
			} else {
				d.Others = append(d.Others, p)
			}
		}
		return d, nil
	}}
}

func (c *Console) workersPage(w http.ResponseWriter, r *http.Request) {
	v, err := c.read(r.Context(), c.workersTopic())
	if err != nil {
		c.failRead(w, r, err)
		return
	}
	p := c.newPage(r, "workers")
	p.Live, p.Reload, p.Data = eventsURL("workers"), reloadAfter, v
	c.show(w, r, http.StatusOK, p)
}
