"""A head that is split over many chips that are not there: what they store and send."""
