// Package containers tests what runs in containers: the Dockerfile, docker-compose.yml, and the
// files in deploy that replace its Redis by Sentinel or a cluster, in a real engine.
//
// The tests start a dockerd of their own, in network, mount and process namespaces of its own.
// So nothing of it is left when the tests end, and no container can reach a machine outside. Its
// images come from deploy/base-images, which needs no registry. This needs Linux, root, dockerd,
// Compose and apt-get. If one is missing, a test is skipped, or fails if
// HABILITA_REQUIRE_CONTAINERS=1. The tests run only with HABILITA_CONTAINERS=all: make containers.
//
// Verdicts come from the simulated vendor, also a container, and from enqueue's reports.
package containers
