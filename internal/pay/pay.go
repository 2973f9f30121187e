// Package pay brings money in: payment methods, top-ups, refunds and disputes.
//
// What it keeps true: one payment is one lot, whatever is repeated, lost or told twice;
// credits are granted in the unit of work in which the payment becomes paid, and never
// without it; a payment is written before the provider hears of it, so that none is
// forgotten; card data is the provider's alone.
package pay
