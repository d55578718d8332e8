package node

// HandlerCount is how many calls of a kind of handler have ended so.
func HandlerCount(n *Node, kind HandlerKind, result HandlerResult) (count uint64) {
	for _, l := range n.loops {
		count += l.workers.counts[kind][result].Load()
	}
	return count
}
