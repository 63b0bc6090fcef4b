// Reads decisions.v1 from Kafka, verifies every event back to trust.json, and prints one line a decision.
//
// Columns, by tabs: time, ALLOW | DENY | ABANDONED | VOID | BAD, reason, agent, action, resource, tree, decision.
// Exit status: 0 all was good, 1 something was BAD, 2 it could not run.
package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"
	"unicode/utf8"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl/scram"
)

// How long a broker may take to answer.
const patience = 15 * time.Second

type options struct {
	brokers, trust, ca, user, passwordFile string
	fromBeginning                          bool
	max                                    int
	timeout                                time.Duration
}

func main() {
	bad, err := run(readOptions())
	switch {
	case err != nil:
		fmt.Fprintf(os.Stderr, "consumer: %s\n", printable(err.Error()))
		os.Exit(2)
	case bad > 0:
		os.Exit(1)
	}
}

// run returns how many events did not count.
func run(o options) (int, error) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if o.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, o.timeout)
		defer cancel()
	}
	trust, err := os.ReadFile(o.trust)
	if err != nil {
		return 0, err
	}
	ring, err := newKeyRing(trust)
	if err != nil {
		return 0, err
	}
	// No group: it reads all partitions, and needs no right but to read.
	from := kgo.NewOffset().AtEnd()
	if o.fromBeginning {
		from = kgo.NewOffset().AtStart()
	}
	decisionsClient, err := client(o, kgo.ConsumeTopics("decisions.v1"), kgo.ConsumeResetOffset(from))
	if err != nil {
		return 0, err
	}
	defer decisionsClient.Close()
	start := map[string]map[int32]kgo.Offset{"registry.v1": {0: kgo.NewOffset().AtStart()}}
	registryClient, err := client(o, kgo.ConsumePartitions(start))
	if err != nil {
		return 0, err
	}
	defer registryClient.Close()
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()

	registry := registryReader{client: registryClient, ring: ring, out: out}
	folded := newDecisions()
	printed, bad := 0, 0
	if err := registry.catchUp(ctx); err != nil {
		return 0, err
	}
	for ctx.Err() == nil {
		fetches := decisionsClient.PollFetches(ctx)
		if err := fatal(fetches); err != nil {
			return 0, err
		}
		// A key is certified before anything is signed by it: what the registry holds now is enough for these.
		if !fetches.Empty() {
			if err := registry.catchUp(ctx); err != nil && ctx.Err() == nil {
				return 0, err
			}
		}
		for _, record := range fetches.Records() {
			line, err := read(ring, folded, record)
			if err != nil {
				bad++
				line = badLine(record, err)
			}
			if line == "" {
				continue
			}
			fmt.Fprintln(out, line)
			if printed++; printed == o.max {
				return bad + registry.bad, nil
			}
		}
		if err := out.Flush(); err != nil {
			return 0, err
		}
	}
	return bad + registry.bad, nil
}

func read(ring *keyRing, folded *decisions, record *kgo.Record) (string, error) {
	if !utf8.Valid(record.Key) {
		return "", refused("event_malformed")
	}
	event, err := ring.verify("decisions.v1", string(record.Key), record.Value)
	if err != nil {
		return "", err
	}
	return folded.line(event, record.Value)
}

// registryReader reads registry.v1 from its start. Its one partition is the order in which keys begin and end.
type registryReader struct {
	client *kgo.Client
	ring   *keyRing
	out    *bufio.Writer
	next   int64
	bad    int
}

// catchUp reads up to what is its end now.
func (r *registryReader) catchUp(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, patience, errors.New("registry.v1 could not be read to its end"))
	defer cancel()
	ends, err := kadm.NewClient(r.client).ListEndOffsets(ctx, "registry.v1")
	if err == nil {
		err = ends.Error()
	}
	if err != nil {
		return fmt.Errorf("registry.v1: %w", err)
	}
	if len(ends["registry.v1"]) != 1 {
		return errors.New("registry.v1 has not one partition: what was said first is then not known")
	}
	end, _ := ends.Lookup("registry.v1", 0)
	for r.next < end.Offset {
		fetches := r.client.PollFetches(ctx)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err := fatal(fetches); err != nil {
			return err
		}
		for _, record := range fetches.Records() {
			r.next = record.Offset + 1
			err := error(refused("event_malformed"))
			if utf8.Valid(record.Key) {
				err = r.ring.readRegistry(string(record.Key), record.Value)
			}
			if err != nil {
				r.bad++
				fmt.Fprintln(r.out, badLine(record, err))
			}
		}
	}
	return nil
}

func badLine(record *kgo.Record, err error) string {
	place := fmt.Sprintf("%s/%d/%d", record.Topic, record.Partition, record.Offset)
	return strings.Join([]string{"-", "BAD", err.Error(), "-", "-", "-", "-", place}, "\t")
}

// fatal: the client goes on by itself while a broker is away; without the right to read it would wait for ever.
func fatal(fetches kgo.Fetches) error {
	for _, failed := range fetches.Errors() {
		if errors.Is(failed.Err, context.Canceled) || errors.Is(failed.Err, context.DeadlineExceeded) {
			continue
		}
		if !kerr.IsRetriable(failed.Err) {
			return fmt.Errorf("%s: %w", failed.Topic, failed.Err)
		}
	}
	return nil
}

func client(o options, more ...kgo.Opt) (*kgo.Client, error) {
	opts := append([]kgo.Opt{
		kgo.SeedBrokers(strings.Split(o.brokers, ",")...),
		kgo.ClientID("bailiwick-example-go"),
		kgo.FetchMaxWait(500 * time.Millisecond),
	}, more...)
	if o.ca != "" {
		pem, err := os.ReadFile(o.ca)
		if err != nil {
			return nil, err
		}
		roots := x509.NewCertPool()
		if !roots.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%s holds no certificate", o.ca)
		}
		opts = append(opts, kgo.DialTLSConfig(&tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}))
	}
	if o.user != "" {
		if o.ca == "" {
			return nil, errors.New("--user needs --ca: a password goes over TLS only")
		}
		password, err := os.ReadFile(o.passwordFile)
		if err != nil {
			return nil, err
		}
		auth := scram.Auth{User: o.user, Pass: strings.TrimSpace(string(password))}
		opts = append(opts, kgo.SASL(auth.AsSha512Mechanism()))
	}
	return kgo.NewClient(opts...)
}

func readOptions() options {
	var o options
	data := os.Getenv("BAILIWICK_DATA")
	if data == "" {
		data = ".bailiwick"
	}
	brokers, _ := strings.CutPrefix(os.Getenv("BAILIWICK_BUS"), "kafka://")
	flag.StringVar(&o.brokers, "brokers", brokers, "host:port[,host:port…]")
	flag.StringVar(&o.trust, "trust", filepath.Join(data, "trust.json"), "the anchor")
	flag.BoolVar(&o.fromBeginning, "from-beginning", false, "else only what comes from now on")
	flag.IntVar(&o.max, "max", 0, "stop after so many lines")
	seconds := flag.Float64("timeout", 0, "stop after so many seconds")
	flag.StringVar(&o.ca, "ca", os.Getenv("BAILIWICK_KAFKA_CA"), "PEM file of the brokers' CA")
	flag.StringVar(&o.user, "user", os.Getenv("BAILIWICK_KAFKA_USER"), "SCRAM user")
	flag.StringVar(&o.passwordFile, "password-file", os.Getenv("BAILIWICK_KAFKA_PASSWORD_FILE"), "its password")
	flag.Parse()
	o.timeout = time.Duration(*seconds * float64(time.Second))
	if o.brokers == "" || o.brokers == "embedded" {
		fmt.Fprintln(os.Stderr, "consumer: -brokers host:port[,host:port…], or BAILIWICK_BUS=kafka://…")
		os.Exit(2)
	}
	return o
}
