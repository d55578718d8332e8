// Package config reads the configuration of the program stoa.
//
// # One source
//
// The struct [Config] is the only list of the keys. Its tags hold the name of
// each key, its default, its unit, its choices, its flag and its description.
// The parser, the JSON Schema ([WriteSchema]), the commented file with the
// defaults ([WriteDefault]), the list of the values in force ([Config.Write])
// and docs/configuration.md are all made from them, so they cannot differ.
//
// # Layers
//
// [Load] reads four layers, of which a later one wins: the defaults, a file in
// YAML, environment variables, flags. koanf merges them key by key; a list is
// replaced as a whole. Every value remembers its [Origin].
//
// # Errors
//
// Load reports all mistakes at once, as [Errors]. Each names the place, the
// key, and for an unknown key the similar ones. Three steps find them: the
// value alone (its type, unit and bounds), the key alone as packages node and
// redisbroker see it, and the keys together (check.go). Values of secret keys
// are never quoted.
//
// # Use
//
// [Config.Node] and [Config.Redis] return the configurations of a node and of
// its broker. The package opens no connection and starts no goroutine; it reads
// the file and those files that keys name.
package config
