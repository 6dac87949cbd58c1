//! Several live results at one moment.

use super::LiveQuery;
use crate::db::StreamDb;
use crate::db::rows::Rows;
use crate::engine::read;
use crate::view::ResultRows;

/// Live queries that can be read together by [`StreamDb::snapshot_of`]: a tuple of up to six
/// references, or a slice of them.
pub trait Together {
    /// The rows of each.
    type Rows;

    #[doc(hidden)]
    fn belong_to(&self, db: &StreamDb) -> bool;

    /// The rows of each, not sorted. Called while no step is made.
    #[doc(hidden)]
    fn read(&self) -> Vec<ResultRows>;

    #[doc(hidden)]
    fn typed(&self, epoch: u64, rows: Vec<ResultRows>) -> Self::Rows;
}

impl<T> LiveQuery<T> {
    fn belongs_to(&self, db: &StreamDb) -> bool {
        std::sync::Arc::ptr_eq(&self.inner.db, &db.inner)
    }

    fn copy(&self) -> ResultRows {
        read(&self.inner.query.view()).to_rows()
    }
}

impl<T> Together for &[&LiveQuery<T>] {
    type Rows = Vec<Rows<T>>;

    fn belong_to(&self, db: &StreamDb) -> bool {
        self.iter().all(|query| query.belongs_to(db))
    }

    fn read(&self) -> Vec<ResultRows> {
        self.iter().map(|query| query.copy()).collect()
    }

    fn typed(&self, epoch: u64, rows: Vec<ResultRows>) -> Vec<Rows<T>> {
        let of = |(query, rows): (&&LiveQuery<T>, _)| Rows::new(epoch, rows, query.row.clone());
        self.iter().zip(rows).map(of).collect()
    }
}

macro_rules! tuple {
    ($($type:ident $query:ident),+) => {
        impl<$($type),+> Together for ($(&LiveQuery<$type>,)+) {
            type Rows = ($(Rows<$type>,)+);

            fn belong_to(&self, db: &StreamDb) -> bool {
                let ($($query,)+) = self;
                $($query.belongs_to(db))&&+
            }

            fn read(&self) -> Vec<ResultRows> {
                let ($($query,)+) = self;
                vec![$($query.copy()),+]
            }

            fn typed(&self, epoch: u64, rows: Vec<ResultRows>) -> Self::Rows {
                let ($($query,)+) = self;
                let mut rows = rows.into_iter();
                ($(Rows::new(epoch, rows.next().expect("the rows of each"), $query.row.clone()),)+)
            }
        }
    };
}

tuple!(A a);
tuple!(A a, B b);
tuple!(A a, B b, C c);
tuple!(A a, B b, C c, D d);
tuple!(A a, B b, C c, D d, E e);
tuple!(A a, B b, C c, D d, E e, F f);
