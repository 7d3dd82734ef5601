// How Binance USD-M snapshots and deltas join: buffer deltas, GET the snapshot, drop `u < lastUpdateId`, the
// first applied has `U <= lastUpdateId <= u`, then `pu == last u`. `U` skips ahead, for all symbols share the
// ids.
#pragma once

#include "mdp/core/book_rule.hpp"

namespace mdp::venue::binance_usdm {

inline constexpr core::BookRule kBookRule{
    .continuity = core::Continuity::PrevUpToLast,
    .join = core::Join::AroundSnapshotId,
    .snapshot_source = core::SnapshotSource::Rest,
    .crossed = core::CrossedPolicy::Resync,
    .trade_ids_grow = true,
    .lines_share_ids = true,
};

}  // namespace mdp::venue::binance_usdm
