// Package rpc carries requests between the nodes of a cluster.
//
// A request is about one connection of another node, or goes to all members of
// a room.
//
// A connection's ID names its node, so a request about it goes to that node's
// own channel without a look-up, and the answer returns to the channel of the
// asking node, where it settles a pending call. A request to a room goes
// through the room's channel, behind everything that was published there
// before; each node that it reached reports when no more answers follow, and
// PUBLISH returns how many nodes it reached. So "nobody there" and "gone" are
// known soon: before a room counts as empty, the other nodes are looked for.
//
// A [Peer] is this node's end of it: the calls that it has made and those that
// it serves. It does not know connections: [Local] carries out requests about
// them. Its methods are safe for concurrent use. No method that the broker may
// call calls the broker back: such work leaves through [Local.Defer].
package rpc
