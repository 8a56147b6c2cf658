package console

import (
	"context"
	"net/url"

	"habilita/internal/membership"
)

// kindWorker is how workers call themselves where they agree.
const kindWorker = "worker"

type workersData struct {
	Workers, Others []membership.Process
}

// processes reads the live processes.
func (c *Console) processes(ctx context.Context) (d workersData, err error) {
	all, err := c.o.Processes.Alive(ctx)
	for _, p := range all {
		if p.Kind == kindWorker {
			d.Workers = append(d.Workers, p)
		} else {
			d.Others = append(d.Others, p)
		}
	}
	return d, err
}

func (c *Console) readWorkers(ctx context.Context, _ url.Values) (listing, error) {
	d, err := c.processes(ctx)
	return listing{Data: d}, err
}
