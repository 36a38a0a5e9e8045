"""Why a port fails."""
