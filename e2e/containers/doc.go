// Package containers tests what runs in containers: the Dockerfile, docker-compose.yml, and the
// files in deploy that replace its Redis by Sentinel or a cluster, in a real engine.
//
// The engine is a dockerd of the test's own. It lives in network, mount and process namespaces
// of its own, so nothing of it is left when the test ends, and no container can reach a machine
// outside. Its images come from deploy/base-images, which needs no registry. That takes Linux,
// root, dockerd, Compose and apt-get; a test is skipped where one is missing, or fails if
// HABILITA_REQUIRE_CONTAINERS=1. They run with HABILITA_CONTAINERS=all only: make containers.
//
// Verdicts come from the simulated vendor, a container too, and from enqueue's reports.
package containers
