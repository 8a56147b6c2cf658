package console

import (
	"context"

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
		return listing{Data: d}, nil
	}}
}
