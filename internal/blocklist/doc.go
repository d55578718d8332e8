// Package blocklist holds the users that are blocked in a cluster.
//
// The nodes of a cluster have a [List] each, and merge the entries of the
// others into it. For each user the newest entry counts, so that lists which
// have seen the same entries, in any order, are the same. A lifted block
// remains as an entry until the block would have ended, lest a node that has
// missed its end brings it back.
//
// A [Shared] carries the entries between the nodes. An entry travels with the
// time that is left, not with its end: the clocks of nodes may differ.
package blocklist
