// Package consoletest sets up the console with everything behind it, in one process: an
// in-process Redis, a simulated wolkvox, a worker, and a Chromium that looks at it. It
// is for the console's tests and for its screenshots.
package consoletest
