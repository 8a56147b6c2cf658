// Package consoletest sets up the console with everything behind it, in one process: an
// in-process Redis, a simulated wolkvox, and a worker. It is for the console's tests, and
// for those of package e2e/browser, which look at it in a Chromium.
package consoletest
