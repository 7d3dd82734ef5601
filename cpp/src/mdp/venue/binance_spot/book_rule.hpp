// How Binance spot snapshots and deltas join: buffer deltas, GET the snapshot, drop `u <= lastUpdateId`, the
// first applied has `U <= lastUpdateId + 1 <= u`, then `U == last u + 1`.
#pragma once

#include "mdp/core/book_rule.hpp"

namespace mdp::venue::binance_spot {

inline constexpr core::BookRule kBookRule{
    .continuity = core::Continuity::FirstUpToNext,
    .join = core::Join::AfterSnapshotId,
    .snapshot_source = core::SnapshotSource::Rest,
    .crossed = core::CrossedPolicy::Resync,
    .trade_ids_grow = true,
    .lines_share_ids = true,
};

}  // namespace mdp::venue::binance_spot
