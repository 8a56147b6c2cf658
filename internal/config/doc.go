// Package config reads the settings of the commands: one table of environment
// variables, each with a flag of the same name in kebab case.
//
// The flag wins over the variable, the variable over the default. A variable that is
// empty, or only white space, counts as not set. A secret is never a flag: it comes from its
// variable or from the file that NAME_FILE (--name-file) names. A --redis-url with a user or
// password in it is refused.
//
// A command binds and loads the groups of settings that it uses. All faults come in one
// *Error, a line for each, with the variable, the value (redacted if it is or may be a
// secret) and what is wanted. The package that uses a value checks it: vault the keys,
// wolkvox the vendor's address, webhook its receivers. This package knows only the outline
// of a Redis address.
package config
