package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/stoa-io/stoa/cluster"
	"github.com/stoa-io/stoa/cluster/redisbroker"
	"github.com/stoa-io/stoa/cmd/stoa/internal/cli"
	"github.com/stoa-io/stoa/cmd/stoa/internal/settings"
)

// listTimeout bounds the requests to all servers.
const listTimeout = 10 * time.Second

const formatTable = "table"

var listFormats = cli.Choices[string]{
	{Name: formatTable, Value: formatTable},
	{Name: cli.FormatJSON, Value: cli.FormatJSON},
}

const nodesLong = `List the nodes of a cluster, as registered in Redis. A node that shuts down leaves the
list immediately, one that crashes after a few seconds.

The exit code is 1 if there is no node, or if a Redis server is unreachable; the nodes
known to the others are printed nevertheless. It is 2 for a wrong flag.

With --config or STOA_CONFIG the servers and the name of the cluster are those of a
node's configuration file. The rest of the file is not used.

` + cli.ClusterHelp

const nodesExample = `  stoa nodes --config stoa.yaml
  stoa nodes --redis redis://127.0.0.1:6379
  STOA_REDIS=redis://:password@redis.example.com stoa nodes --format json`

func newNodesCommand() *cobra.Command {
	var flags settings.Flags
	var format string
	command := &cobra.Command{
		Use:     "nodes",
		Short:   "List the nodes of a cluster",
		Long:    nodesLong,
		Example: nodesExample,
		Args:    cli.Args(0),
		RunE: func(command *cobra.Command, _ []string) error {
			c, err := flags.LoadCluster()
			if err != nil {
				return err
			}
			servers, err := c.Redis()
			if err != nil {
				return err
			}
			return listNodes(command.Context(), servers, format, command.OutOrStdout(), command.ErrOrStderr())
		},
	}
	flags.RegisterCluster(command.Flags())
	command.Flags().StringVar(&format, "format", formatTable, "`format` of the list: "+listFormats.String())
	return command
}

func listNodes(ctx context.Context, config redisbroker.Config, format string, stdout, stderr io.Writer) error {
	if _, err := listFormats.Parse("--format", format); err != nil {
		return err
	}
	if len(config.Servers) == 0 {
		return fmt.Errorf("no cluster: add --%s, or --%s and a file that names Redis servers, or set %s",
			cli.RedisFlag, settings.FileFlag, cli.RedisVariable)
	}
	ctx, cancel := context.WithTimeout(ctx, listTimeout)
	defer cancel()
	nodes, err := redisbroker.ListNodes(ctx, config)
	if len(nodes) > 0 && errors.Is(err, redisbroker.ErrUnregistered) {
		fmt.Fprintln(stderr, "stoa: warning:", err)
		err = nil
	}
	if len(nodes) > 0 || err == nil && format == cli.FormatJSON {
		err = errors.Join(err, writeNodes(stdout, format, nodes, time.Now()))
	}
	if err == nil && len(nodes) == 0 {
		err = fmt.Errorf("no node of the cluster %q: check its name (--%s, or the key cluster.name), and whether its nodes are connected to Redis",
			config.Cluster, cli.ClusterNameFlag)
	}
	if err != nil {
		return cli.Failure(err)
	}
	return nil
}

func writeNodes(w io.Writer, format string, nodes []cluster.NodeInfo, now time.Time) error {
	if format == cli.FormatJSON {
		encoder := json.NewEncoder(w)
		encoder.SetIndent("", "  ")
		return encoder.Encode(nodes)
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "NODE\tADDRESS\tVERSION\tCONNECTIONS\tSTARTED\tUP")
	for i := range nodes {
		n := &nodes[i]
		started, up := "", ""
		if !n.Started.IsZero() {
			started = n.Started.UTC().Format(time.RFC3339)
			// The clocks of machines differ.
			up = max(now.Sub(n.Started), 0).Truncate(time.Second).String()
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%d\t%s\t%s\n",
			column(n.ID), column(n.Address), column(n.Version), n.Connections, column(started), column(up))
	}
	return table.Flush()
}

// column quotes a value that could break the table or control the terminal.
// Values come from Redis, where others can write.
func column(text string) string {
	if strings.ContainsFunc(text, cli.NotPlain) {
		return strconv.QuoteToASCII(text)
	}
	return cmp.Or(text, "-")
}
