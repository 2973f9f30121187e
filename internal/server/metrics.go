package server

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/ledger"
)

// Metrics are what the program measures, for Prometheus.
type Metrics struct {
	registry    *prometheus.Registry
	requests    *prometheus.CounterVec
	seconds     *prometheus.HistogramVec
	refusals    *prometheus.CounterVec
	differences prometheus.Counter
	streams     prometheus.Gauge
	commits     prometheus.Histogram
	batches     prometheus.Histogram
}

// The buckets of times from half a millisecond on, in seconds.
var latencies = []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 10}

// NewMetrics returns metrics that stand at zero.
func NewMetrics() *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		requests: counters("purser_http_requests_total", "Requests answered, by route and status.", "route", "status"),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "purser_http_request_seconds", Help: "Time from a request to its answer; streams are left out.", Buckets: latencies,
		}, []string{"route"}),
		refusals: counters("purser_gate_refusals_total", "Requests refused for credits or a budget, by reason.", "reason"),
		differences: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "purser_verification_failures_total", Help: "Verifications that found a difference.",
		}),
		streams: prometheus.NewGauge(prometheus.GaugeOpts{Name: "purser_http_streams", Help: "Balance and log streams open now."}),
		commits: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "purser_commit_seconds", Help: "Time that a commit took, with the units of work in it.", Buckets: latencies,
		}),
		batches: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "purser_commit_units", Help: "Units of work that shared a commit.",
			Buckets: []float64{1, 2, 4, 8, 16, 32, 64, 128, 256, 512},
		}),
	}
	for _, reason := range []string{"insufficient_credits", "budget_exceeded", "credits_frozen"} {
		m.refusals.WithLabelValues(reason) // a series that stands at 0 can be alerted on
	}
	m.registry.MustRegister(m.requests, m.seconds, m.refusals, m.differences, m.streams, m.commits, m.batches,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

func counters(name, help string, labels ...string) *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
}

// Commit counts a commit of the database; see [db.Config].
func (m *Metrics) Commit(c db.Commit) {
	m.commits.Observe(time.Duration(c.ExecNs + c.CommitNs).Seconds())
	m.batches.Observe(float64(c.Units))
}

func (m *Metrics) request(route string, status int, took time.Duration) {
	m.requests.WithLabelValues(route, strconv.Itoa(status)).Inc()
	if !isStream(route) {
		m.seconds.WithLabelValues(route).Observe(took.Seconds())
	}
}

func (m *Metrics) handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}

// figures are the numbers that are asked for when they are collected.
type figures struct {
	db     *db.DB
	ledger *ledger.Ledger
}

// collectTime bounds how long a collection may look things up.
const collectTime = 5 * time.Second

func gauge(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(name, help, labels, nil)
}

var (
	queueUnits    = gauge("purser_queue_units", "Units of work that wait for the database, or run on it.", "state")
	queueLanes    = gauge("purser_queue_lanes", "Organizations, and others that have their share, of which units wait.")
	queueLongest  = gauge("purser_queue_longest_lane", "Units that wait of the one of which most do.")
	queueCapacity = gauge("purser_queue_capacity", "Units of work that may wait; one organization has half of it at most.")
	poisonedUnits = gauge("purser_units_poisoned_total", "Units of work that failed after a write, so that others ran again.")
	writerTrips   = gauge("purser_database_trips_total", "Trips to the PostgreSQL and back that units of work waited for.")
	refusedUnits  = gauge("purser_units_refused_total", "Units of work refused because too many of the same organization, or of all, waited.")
	clockOffset   = gauge("purser_clock_offset_seconds", "How far this server's clock is ahead of that of its PostgreSQL, as measured last.")
	clockBound    = gauge("purser_clock_offset_bound_seconds", "Half of the trip in which that was measured: the offset is surely so near to it.")
	clockOff      = gauge("purser_clock_off", "1 while nothing is admitted because the clock is surely off.")
	walletCount   = gauge("purser_wallets", "Wallets.")
	runningFlows  = gauge("purser_running_flows", "Flows that have not ended.")
	unleasedFlows = gauge("purser_unleased_flows", "Running flows without a lease: if their reporter goes silent they run on.")
	overrunTotal  = gauge("purser_overrun_credits_total", "Credits booked as the operator's loss since the start.")
	keeperLag     = gauge("purser_keeper_lag_seconds", "For how long the first due thing has waited for the keeper.")
)

// Describe is of [prometheus.Collector].
func (f figures) Describe(out chan<- *prometheus.Desc) { prometheus.DescribeByCollect(f, out) }

// Collect is of [prometheus.Collector].
func (f figures) Collect(out chan<- prometheus.Metric) {
	send := func(d *prometheus.Desc, kind prometheus.ValueType, value float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, kind, value, labels...)
	}
	stats := f.db.Stats()
	send(queueUnits, prometheus.GaugeValue, float64(stats.Waiting), "waiting")
	send(queueUnits, prometheus.GaugeValue, float64(stats.Running), "running")
	send(queueLanes, prometheus.GaugeValue, float64(stats.Lanes))
	send(queueLongest, prometheus.GaugeValue, float64(stats.Longest))
	send(queueCapacity, prometheus.GaugeValue, float64(stats.Capacity))
	send(poisonedUnits, prometheus.CounterValue, float64(stats.Poisoned))
	send(writerTrips, prometheus.CounterValue, float64(stats.Trips))
	send(refusedUnits, prometheus.CounterValue, float64(stats.Refused))
	if o, isMeasured := f.db.Offset(); isMeasured {
		send(clockOffset, prometheus.GaugeValue, time.Duration(o.By).Seconds())
		send(clockBound, prometheus.GaugeValue, time.Duration(o.Bound).Seconds())
		send(clockOff, prometheus.GaugeValue, map[bool]float64{true: 1}[f.db.Admits() != nil])
	}
	ctx, cancel := context.WithTimeout(context.Background(), collectTime)
	defer cancel()
	books, err := f.ledger.Figures(ctx)
	if err != nil {
		out <- prometheus.NewInvalidMetric(runningFlows, err)
		return
	}
	send(walletCount, prometheus.GaugeValue, float64(books.Wallets))
	send(runningFlows, prometheus.GaugeValue, float64(books.Running))
	send(unleasedFlows, prometheus.GaugeValue, float64(books.Unleased))
	send(overrunTotal, prometheus.CounterValue, float64(books.Overrun)/float64(credit.One))
	send(keeperLag, prometheus.GaugeValue, time.Duration(books.Behind).Seconds())
}
