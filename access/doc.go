// Package access describes who a connection belongs to, and its permissions.
//
// An [Identity] comes from what authenticates the client: an accept handler of
// package node or of package auth. Where a namespace asks for permission
// (node.NamespaceOptions.Access), an action is denied unless a permission
// allows it.
//
// The package does no I/O, and knows neither tokens nor connections.
package access
